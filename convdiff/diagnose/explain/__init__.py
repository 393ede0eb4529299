"""From proven edits to a finding: what is equivalent, what would tell rivals apart, the words.

* `equivalents`: edits that give the same output by algebra are rivals, found or not.
* `disambiguate`: the arrays that would show which of the rivals it was.
* `wording`: edits as a sentence; what is known where nothing explains the output.

What is said of a single mistake (its sentence, its common names) stands with its hypothesis.
"""
