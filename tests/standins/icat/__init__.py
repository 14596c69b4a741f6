"""A stand-in for icat.server 6.2: not ICAT, and no proof of what ICAT does.

It was written from ICAT's source, version of 25 June 2026 (icatproject/icat.server 48fb3271, Apache-2.0; the names of its
entities, attributes and relations and the words of its errors are taken from there, no code is), because ICAT needs Java,
Payara and a database and cannot be installed on the machines that these tests run on. Loaded with the dump of a real
ICAT 6.2 it shows six users exactly as many rows of each of the 53 entities as that ICAT showed them.

It is strict: what ICAT refuses is refused with the same code, and what this does not know (a query within a query, GROUP
BY, arithmetic) is NOT_IMPLEMENTED, never guessed. Stricter than ICAT it is where ICAT would not look: unknown or repeated
parameters, credentials of another form, a timestamp that is no date. It keeps the ways in which ICAT surprises:

* access is asked for the rows that a query selects, not for those it passes or compares: `WHERE` sees everything;
* a rule without WHERE gives all of its entity, JOINs or not, and to everybody when it has no grouping, flags or not;
* a path through a relation that leads nowhere takes the whole row out of the answer, whatever an OR says beside it;
* a JOIN to many gives a row as often as it has partners unless DISTINCT is said; COUNT(o) counts them too;
* without ORDER BY there is no order (here: the last made first), and null comes before everything;
* blanks are spaces: a tab or a new line outside of quotes is refused; a backslash in LIKE needs ESCAPE (here: always);
* an ended session is 403 like a refused right, told apart by its `code`; what may not be read is left out in silence;
* included rows that may not be read are left out, except along the steps that PublicStep names.

`oidc.py` is its plugin for tokens of an OpenID provider. `ids.py` stands beside it for the part of ids.server 2.1 that tells where data is and restores it.
"""

from tests.standins.icat.app import build
from tests.standins.icat.errors import Refused
from tests.standins.icat.ids import Ids
from tests.standins.icat.world import Icat, anonymous, load, passwords, read
from tests.standins.serving import serving

__all__ = ["Icat", "Ids", "Refused", "anonymous", "build", "load", "passwords", "read", "serving"]
