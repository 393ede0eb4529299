"""What the whole diagnosis is made of; nothing here searches, and nothing knows a mistake by name.

* `problem`: the question, a `Problem`: what was asked, the arrays, the obtained output, and what
  rounding may have cost.  Everything later is derived from it.
* `forms`: one hypothesized state of each stage of a convolution (operation, input, kernel,
  geometry, output), with the edits that lead to it and their cost.
* `array_view` and `layouts`: an array read in another way, as tables of offsets into its memory.
  A permutation, a reversal, a reshape of gigabytes costs microseconds until somebody looks.
* `output_change`: what was done to the sums of a convolution on their way to the output, as objects
  that the search and the proof ask.  `activation_change` (functions from `activations`),
  `reordered` (channels or items in any order) are changes that several hypotheses share;
  `line_fit` fits a factor and a constant per channel.
* `precision_model`, `precision_evidence`, `precision_fit`: what the numbers may have been rounded
  to; which of these the obtained values suggest; and which one explains the output.
* `output_grid`, `operand_grid`, `quantized_models`: the grid of a few bits that an output lies on;
  the usual grids of an input and a kernel; and the precision models with such operands.
* `padding_names`: what frameworks call a padding.
"""
