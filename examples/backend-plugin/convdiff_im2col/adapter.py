"""Adapter for im2col, run in the interpreter that has im2col; imports nothing of convdiff."""

IMPORT = "im2col"


def names(im2col):
    """The names that code finds, besides np."""
    return {"im2col": im2col}


def devices(im2col):
    """The devices that it can compute on."""
    return ["cpu"]


def path(im2col):
    """The execution path of code that selects none."""
    return "rows first"


def missing(im2col):
    """The `needs` of PLUGIN.paths that are not met, each with the reason."""
    return {}


def to_numpy(im2col, value):
    """None: its results are numpy arrays already."""
    return


def settings(im2col):
    """A function that restores the settings which a job may change."""
    kept = im2col.ORDER

    def restore():
        im2col.ORDER = kept

    return restore
