"""The known mistakes: one class each, in the module of the stage at which it happens.

Start with `base`, which says what a hypothesis owns.  `operation`, `input`, `kernel` and `geometry`
are about one stage each.  The output has several modules: `output_order` (layout, channels and
items), `output_bias`, `output_scale` (factors), `output_overlap` (windows added up) and
`output_values` (activations, limits, integer types), which also has the table of them all.
`precision` and `nondeterminism` are found without the search.  `registry` has every hypothesis by
family and by code, and the page that `convdiff explain` prints.

A hypothesis of the output comes with an `OutputChange` beside it: what it believes was done to the
sums.  CONTRIBUTING.md adds one step by step.
"""
