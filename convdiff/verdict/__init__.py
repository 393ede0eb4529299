"""The verdict: what is reported of one answer, from the error bound and, where needed, a diagnosis.

`judge` decides.  `infer_question` reads what is asked off the saved outputs, where the options
leave it open.  `unflatten` reads outputs with fewer axes than asked, `magnitude` knows those of
several sums, `output_groups` holds the outputs of a case against each other, `localize` says in
which region an output differs, `messages` has the judge's sentences, and `degenerate_arrays` names
faults that the arrays of a case cannot show.  The numerics are described in `convdiff.numerics`.

How a verdict comes about, in the order of the judge's code:

1.  Without an output (the backend failed, crashed or timed out) there is no verdict.  An output
    that does not hold numbers is "incomparable"; integers are compared as float64.  Where any array
    is complex, `complex_judge` does what follows on real and imaginary parts.

2.  The shape.  Axes of size 1 are added or removed as needed.  An output whose axes were merged is
    separated again, in the asked order or another common one, judged as that, and the row says so.

3.  Any other shape than the asked one is "different".  If the output agrees with the first batch
    items or channels of the reference, the row says that it is a part; otherwise the diagnosis
    looks for edits that give this shape and these values.

4.  The possible arithmetics (`numerics.arithmetic`).  How an answer was computed is seldom known:
    a 16-bit convolution may sum in float32 or in 16 bits, a saved output of float64 arrays may come
    from float32.  Each is a type that the arrays are cast to and a `Rounding`; they are tried from
    the tightest error bound to the widest, each against the reference for its cast arrays.

5.  Under the first arithmetic whose bound explains every element, the output agrees:

    -   "identical" if every element is the reference rounded to the output's type;
    -   "reduced-precision" if it was computed in float32, its errors are larger than such sums show
        (or its values are of a narrower type), and a precision model fits far better;
    -   "different" if only the wide bound of 16-bit sums explains it, errors are beyond what
        float32 sums allow on average, and one fault (two where errors are untypically large)
        explains the output within the bound of float32 sums;
    -   "rounding" otherwise.

6.  If the bound does not explain every element but the normwise bound of a fast algorithm does, the
    verdict is "rounding", with a message.  This is asked for each arithmetic before the next one is
    tried.

7.  Otherwise the output differs, and is examined under one arithmetic: that of the tightest bound,
    or of float32 for float64 arrays, since a faulty convolution may have been computed in it.

    -   "reduced-precision" if a precision model explains every element.  If that model is sums in
        16 bits, whose errors may hide a fault, and a single fault without fitted numbers explains
        the output without such sums, the verdict is "different" with that fault.
    -   A subclass of `Judge` that knows more about the case (the weights of a port, say) may give
        the row here.
    -   "different" with the diagnosis' explanation: the simplest edits that give every element.
        Where most elements agree, at most two edits are believed.  Edits of precision alone, or
        of an integer type that clipped nothing, make it "reduced-precision"; or "rounding" if they
        are what was asked.
    -   "different" without an explanation: the region that differs, and how near known mistakes
        come to the output.
"""
