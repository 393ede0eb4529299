"""From forms to candidates: everything is combined, and almost everything dismissed at once.

The space is a product: operations x inputs x kernels x geometries x outputs, thousands of
combinations for one edit and millions for three.  None of them is run as a convolution.  In order:

1. `sample_points` chooses a few output elements, in pairs of one channel.
2. `form_table` makes the forms of each stage; `edit_shares` says how a number of edits is shared
   out among the stages.
3. `geometry_axis` and `geometry_table` list the strides, paddings and dilations that lead from the
   input's size to the output's, and where their windows lie (`windows`).
4. `products` multiplies all windows with all kernels at the first two sample points, one matrix
   product for many combinations; `batches` lays them end to end.
5. `intervals` holds the interval that a sum must lie in for each output form; `filter` dismisses
   what does not: first everything against everything, then single combinations at more points.
6. What agrees at every sample point is a `candidate`, to be proven.

`engine` does this for one number of edits; `convdiff.diagnose.schedule` asks for one after another.

A comparison dismisses only what rounding cannot explain; what is wrong may survive, and fails the
proof.  Four limits can drop a right combination: `MAX_CANDIDATES_PER_LEVEL` keeps the cheapest,
`MAX_ROUGH_SURVIVORS` and `MAX_ROUGHLY_REORDERED` give up where the first points tell nothing apart,
and sums kept in 16 bits are compared by their typical errors instead of a bound.  Look there when
an explanation is missing; `convdiff.api.trace` shows where it was lost.
"""
