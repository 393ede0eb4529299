"""What is read off the output because it cannot be enumerated.

An order of 64 channels, or two numbers for each of them, has too many values to be listed as forms.
Under a given geometry the output is a linear function of the kernel (`linear_system`), so the
output itself says what they are:

* an order of the input's channels: `channel_order` fits it under one geometry and kernel,
  `order_views` lists the geometries, kernels and outputs it may be fitted under, those first that
  `geometry_score` and `kernel_estimate` favor, and `order_search` gives the candidates;
* a factor and a constant per channel: `channel_scale_search`;
* the scale of an input that was rounded to 8 bits: `input_scale_search`;
* overlap counts beside a constant or a factor: `overlap`;
* the whole kernel, where nothing else explains the output: `other_weights`, and `tidy_kernel` for
  one that follows simply from the given one.

What is fitted explains as many values whatever it is.  So part of the output is held out of every
fit, or the evidence is counted, and every candidate goes through the proof like any other.
"""
