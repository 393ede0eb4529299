"""im2col in a worker: this file runs in the interpreter that has im2col, and imports nothing of
convdiff.
"""

IMPORT = "im2col"


def names(im2col):
    """What users' code finds, besides np."""
    return {"im2col": im2col}


def devices(im2col):
    """Where it computes."""
    return ["cpu"]


def path(im2col):
    """How, unless told otherwise."""
    return "rows first"


def missing(im2col):
    """What of the `needs` of PLUGIN.paths is not there."""
    return {}


def to_numpy(im2col, value):
    """Its results are numpy's already."""
    return


def settings(im2col):
    """A function that puts back what a job may have set."""
    kept = im2col.ORDER

    def restore():
        im2col.ORDER = kept

    return restore
