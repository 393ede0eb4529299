"""A convolution as numbers: from the options a user gives and two array shapes to a `ConvSpec`.

The way of the data, in order:

1. `settings`: `Settings` holds the options as they were given, one field per option; None means
   that an option was not given.
2. `layout`: axis strings (NHWC, HWIO) and arrays moved between them.
3. `padding`: padding words and numbers to one (lo, hi) pair per spatial axis.
4. `infer_layouts`: which axis of the two arrays is which, where the user gave no layouts.
5. `infer_spec`: `read_spec` makes a `ConvSpec` of `Settings` and the arrays' shapes. It turns every
   word into numbers.
6. `other_questions`: the specs that settings without a padding or layouts leave room for.
7. `conv_spec`: `ConvSpec`, the result. Its constructor checks ten numbered invariants.
8. `canonical`: a case's arrays in the normal form, in which every convolution, transposed or not,
   is one cross-correlation (`conv_spec.Correlation`).

Invariants: a `ConvSpec` holds numbers only, nothing in it is left to infer, and one that exists is
valid. Everything after this package (reference, dialects, diagnosis) takes a `ConvSpec` and never
sees `Settings`. Every per-axis tuple follows the spatial axes in the order of the input layout.
What a user got wrong is a `ConvdiffError`; numbers that break an invariant are a `SpecError` with
the invariant's number. The package imports no other part of convdiff but `errors`.
"""
