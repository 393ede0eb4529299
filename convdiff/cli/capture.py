"""`convdiff capture`."""

from __future__ import annotations

import click

from convdiff.cli.options import COLOR, Command, File, option


@click.command("capture", cls=Command)
@click.argument("model", cls=File, metavar="MODEL")
@option(
    "Options",
    "--folder",
    default="capture",
    show_default=True,
    metavar="FOLDER",
    help="Where the arrays and the manifest go.",
)
@option(
    "Options",
    "--input",
    "inputs",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Of an ONNX model: an input; repeatable.",
)
@COLOR
def command(model: str, folder: str, inputs: tuple[str, ...]) -> None:
    """Record every convolution layer that a model runs, as a manifest.

    MODEL is model.onnx (run by ONNX Runtime on the arrays of --input), or path.py:function, a
    function that gives the model and the arguments to call it with: `return model, x`. It runs in
    this interpreter, which must have the framework: PyTorch, Keras or Flax. In your own code, `with
    convdiff.capture(model, folder):` does the same. Input, kernel, bias, output and settings of
    each layer are checked by `convdiff check FOLDER`.

    \b
    Examples:
      convdiff capture net.py:make --folder dump/
      convdiff capture model.onnx --input x.npy --folder dump/
    """
    from convdiff.recorder.capture_command import run

    click.echo(run(model, folder, inputs))
