"""A stand-in for scicat-backend-next, API v4: not SciCat, and no proof of what SciCat does.

It was written from SciCat's source, version of 14 February 2026 (SciCatProject/scicat-backend-next 4055c962, BSD-3;
nothing of it was copied), because SciCat needs MongoDB and Node and cannot be installed on the machines that these
tests run on. It is strict: what SciCat refuses is refused in the same words, and what this does not know is
answered 501, never guessed. It keeps the ways in which SciCat surprises:

* an expired, forged or missing token is nobody's, not an error: proposals then answer 200 with what is published,
  datasets 403, `whoami` 200 with nothing;
* dates in a v4 `where` stay strings, and a string is never before or after a date: nothing matches;
* keys are checked outside of arrays only; MongoDB then judges what is inside;
* `fields` are projected before sorting: sorting by a field that is not among them does not sort;
* a public dataset that is not there is 200 with an empty body;
* what comes without `limits` is ten datasets, the latest made first.
"""

from tests.standins.scicat.app import build
from tests.standins.scicat.world import SciCat
from tests.standins.serving import serving

__all__ = ["SciCat", "build", "serving"]
