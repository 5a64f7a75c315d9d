"""What biases of a data set do to distilling: planted cues, classes, and kinds of data."""
