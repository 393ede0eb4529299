"""`convdiff capture`."""

from __future__ import annotations

import click

from convdiff.cli.options import COLOR, Command, FileArgument, option


@click.command("capture", cls=Command)
@click.argument("model", cls=FileArgument, metavar="MODEL")
@option(
    "Options",
    "--folder",
    default="capture",
    show_default=True,
    metavar="FOLDER",
    help="Where to write the arrays and the manifest.",
)
@option(
    "Options",
    "--input",
    "inputs",
    multiple=True,
    metavar="[NAME=]FILE",
    help="An input of an ONNX model; repeatable.",
)
@COLOR
def command(model: str, folder: str, inputs: tuple[str, ...]) -> None:
    """Record every convolution layer that a model runs, as a manifest.

    MODEL is model.onnx, which ONNX Runtime runs on the arrays of --input, or path.py:function: a
    function that returns the model and the arguments to call it with (`return model, x`). The
    function runs in this interpreter, which must have the framework: PyTorch, Keras or Flax. The
    input, kernel, bias, output and settings of each layer are recorded; `convdiff check FOLDER`
    checks them. In your own code, `with convdiff.capture(model, folder):` does the same.

    \b
    Examples:
      convdiff capture net.py:make --folder dump/
      convdiff capture model.onnx --input x.npy --folder dump/
    """
    from convdiff.recorder.capture_command import run

    click.echo(run(model, folder, inputs))
