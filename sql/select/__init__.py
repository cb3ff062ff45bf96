"""Vectorised SELECT: queries over tables in column format, answered from columns where SQLite's answer is certain.

How a query travels:
1. `answer` parses the text (`syntax`: what sqlglot reads otherwise than SQLite is refused);
2. names are bound to columns of tables, views and subqueries (`scope`, `bind`);
3. expressions become functions over batches (`express`, one module a family of functions in `rules`);
4. each SELECT is planned (`block`): filters and keys go down to the scans (`scan`), small sides are read first;
5. relations are joined (`join`), grouped (`aggregate`), sorted and cut (`order`);
6. whatever is not known to be exactly SQLite's raises NotVectorizable, from the first look at the text to the last
   value computed; nothing was given out by then, and SQLite answers the query itself.
"""

from colonnade.sql.select.answers import Answer, Context, NotVectorizable, answer
from colonnade.sql.select.vector import Vector

__all__ = ["Answer", "Context", "NotVectorizable", "Vector", "answer"]
