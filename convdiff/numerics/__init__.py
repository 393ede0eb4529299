"""The numerics: the reference, the error that rounding explains, and the types involved.

The diagnosis and the verdict both stand on this package.  `reference` computes what the output
should be, `precision` has the constants of the number types and rounds to them, `error_bound` says
what rounding may do to each element and compares, and `arithmetic` derives what an output may have
been computed in.

The unit
--------
An element of the output is a sum of n products (and the bias).  Its error is measured in units of
u S, where u is the unit roundoff of the type computed in (2^-24 for float32) and

    S = |input| corr |kernel| + |bias|        per element
    units = |obtained - reference| / (u S)

Numbers in the padding other than zero (--pad-value) are part of the input here.

Units do not depend on the scale of the data, and an element that is nearly zero because its terms
cancel is not reported as 5 % off when it is as exact as all others.  A fixed relative or absolute
tolerance fails in both directions: on correct float32 convolutions of n = 3,456 terms the default
tolerances of NumPy, torch, TensorFlow and Polygraphy all report a difference, while a cosine
similarity above 0.999 accepts a missing bias, TF32 and bfloat16.

The bound
---------
A sum of n products, in any order, with or without fused multiply-adds, has an error of at most

    gamma_n S,   gamma_n = n u / (1 - n u)

(N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., chapter 3), so about n
units.  `Rounding.bound_units` allows one more, for the bias.  The reference is computed in float64;
for outputs computed in float64 too, both have such an error and the bound is doubled.  An output
within the bound is never called different for its size of error alone.

Storing
-------
Storing a result in a type narrower than the one computed in costs half an ulp of the stored type at
the element's value: an absolute error, which no multiple of S describes where terms cancel.
Frameworks may store more than once: the sum without the bias and then with it
(`Rounding.bias_size`), or the sum and then the result of an activation or a scale
(`Rounding.stored_twice`).  A number printed with few decimals is off by half a unit of the last
digit (`Rounding.decimal_error`); so is one that was rounded to a grid, by half a step, and those
beyond its ends were set to them (`Rounding.limits`).

Underflow, overflow and non-finite values
-----------------------------------------
Below the smallest normal number, spacing is constant: each operation may be off by the smallest
subnormal number, an absolute error again (`Rounding.underflow_error`).  Some hardware flushes
subnormal operands and results to zero, which costs up to the smallest normal number, times the
other operand, in each product (`Rounding.flush_error`).  An output that has subnormal values itself
was not flushed and gets the smaller allowance.

NaN and infinity are compared by position and kind.  A sum near the largest finite number may
overflow to an infinity of its sign; if only partial sums reach that size (S does), it may end as
either infinity or as NaN.  All of these are within the bound.

Complex numbers
---------------
A complex convolution is computed as the real one of its parts, and the bound holds for each part of
an element; `complex_parts` has the scale, and why three real products for a complex one stay within
the bound too.

Fast algorithms
---------------
FFT and Winograd convolutions mix all elements of a tile, so that small elements carry the rounding
errors of large ones.  Their error is bounded only in norm: by a few u log2(size) times the largest
S of the batch item and channel (Higham, chapter 24, for the FFT).  Whole numbers are not exact
either.  `within_normwise_bound` accepts such outputs, unless a single S is far larger than the
others, beside which any error would be small.

What sums usually show
----------------------
The bound holds for the worst case.  In practice rounding errors have random signs and add up as a
random walk: of the order of sqrt(n) units at most, and below 1 in root mean square for signed data.
A fault is usually off by as much as n signed terms sum to, which is 1 / (u sqrt(n)) units.  Where
these two are far apart (`Rounding.distinguishes_faults`), an error of typical size is rounding; in
16-bit types with long sums they are not.

The largest units measured on the convolution above (384 x 13 x 13 input, 3 x 3 kernel, float32 in
NumPy, torch, TensorFlow, JAX and ONNX Runtime), and for errors that are not float32's rounding:

    signed data                              0.5 to 5
    positive data                            6 to 58          about sqrt(n)
    constant data                            up to 577        0.17 n: depends on the summation order
    operands rounded to TF32                 480 to 950
    operands rounded to bfloat16             4,000 to 8,000
    sums accumulated in float16              34,000
    a missing bias                           43,000
    a wrong geometry, kernel or channel      above 1,000,000

Precision is found by which model fits
--------------------------------------
The table shows why: 950 units of TF32 are within the bound of 3,456, and constant data comes close
to TF32 without any.  No threshold separates them.  Instead the reference is computed again under
each model of reduced precision: operands rounded to TF32 (rounded or truncated), bfloat16 or
float16, both or one of them; outputs that only hold 16-bit or printed numbers; sums accumulated in
16 bits.  A model with rounded operands is accepted if the root mean square of its errors is several
times smaller than under the asked precision.  Sums in 16 bits leave no smaller error whatever the
model; they are recognized because the errors have the size and evenness of such sums.  Within
float16's range TF32 and float16 operands round alike, and are reported as rivals.
`diagnose.core.precision_fit` does this; it needs the diagnosis' problem, so it stands above this
package.

An operand's rounding can also be seen without any sum: a kernel with a single 1 copies the input as
the hardware multiplies it.  And whole numbers whose sums stay below 2^24 are exact in every float32
implementation of a plain sum, so that any error on them is a fault or a fast algorithm.
"""
