"""Planted cues: something of the pixels is tied to the class, in all splits, as a data set's bias is.

They stand for a bias whose strength is known. Training images have it at a correlation; validation and test images
independently of the class, and test images also all aligned with their class and all in conflict with it: the same
cue at the correlations 1 and 0.
"""

from perturbations.cues.colour import ColourCue
from perturbations.cues.corruption import CorruptionCue
from perturbations.cues.grey import GreyCue
from perturbations.cues.planting import PlantedCue, cue_of

__all__ = ["ColourCue", "CorruptionCue", "GreyCue", "PlantedCue", "cue_of"]
