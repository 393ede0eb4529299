"""Two captures of what should be one model, compared layer by layer: `check --source A --port B`.

Each layer of the port is judged on its own recorded input: the source's convolution is computed on
the port's input, and the result is compared with the port's output.  So a layer is found wrong for
what it computes, never for an input that an earlier fault has changed.  Whether its input is the
source's is measured separately and reported beside the verdict.

The way of the data, by module:

1. `captured_layer`  a layer of one capture, its arrays read when first needed
2. `layer_pair`      a layer of the source and its counterpart: both sides' arrays and specs
3. `pairing`         which layer is which: by kernel, by name, else by order -> Pairing
4. `own_weights`     what the port's weights are of the source's: equal, rounded, another layer's,
                     with a normalization folded in -> OwnWeights with its WeightRelation
5. `input_distance`  how far a layer's inputs are apart, and how far rounding may have brought them
                     (`distance` measures, `external_padding` finds padding in a separate layer)
                     -> LayerInputs, InputAgreement
6. `model_outputs`   the same of the models' own outputs -> ModelOutputs
7. `folded_norm`     which folded normalization may be wrong, by what differs later -> SuspectFolds
8. `layer_plan`      4 to 7 as one decision on each layer, before any is judged -> PortPlan
9. `layer_case`      a plan as a case of `convdiff.check` (`external_cropping` finds cropping in a
                     separate layer) -> CheckCase, run by that package
10. `judge`          in the comparing process: the source's weights, then the port's own -> PortRow
11. `layer_outcome`, `notes`, `input_faults`  the results, each with what is known of its pair; the
                     first layer that diverges, and what was done to its input
12. `wording`        all of that in sentences

`check_port` lists these steps.  Frozen records pass between them, and only `wording` makes text.

Rules that the steps share:

- An input differs where its distance is more than ten times the largest distance of inputs and
  outputs before it, or beyond the roundings of one step where there was none (`input_distance` has
  the measurements).  Distances count only up to the first layer that is wrong or whose input
  differs: what a fault causes must not excuse what follows.
- External padding and cropping do not change the model, and are removed before anything is
  compared.
- A layer with a folded normalization is judged by its own weights, since its output is not the
  source's.  Only later inputs show whether the fold is right: where one differs and no other layer
  explains it, a single suspect is judged by the source's weights and fails, and of several all are
  named.
- A correct layer whose input differs fails only if it is the first layer that fails.
"""
