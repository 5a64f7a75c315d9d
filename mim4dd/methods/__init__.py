"""Distillation methods: `METHODS` lists them; `Method` is their interface."""

from mim4dd.methods.catalogue import METHODS, Method, Term, UpdateStep
from mim4dd.methods.dc import DC, DSA
from mim4dd.methods.dm import DM
from mim4dd.methods.mim import Mim
from mim4dd.methods.mtt import MTT
from mim4dd.methods.selection import FullData, Herding, KCenter, KMedoids, RandomReal

__all__ = [
    "DC",
    "DM",
    "DSA",
    "METHODS",
    "MTT",
    "FullData",
    "Herding",
    "KCenter",
    "KMedoids",
    "Method",
    "Mim",
    "RandomReal",
    "Term",
    "UpdateStep",
]
