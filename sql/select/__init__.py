"""Vectorised SELECT: queries over tables in column format, answered from columns where SQLite's answer is certain.

How a query travels:
1. `answers` parses the text by SQLite's own grammar (`parse`, `readexpr`);
2. names are bound to columns of tables, views and subqueries (`scope`, `bind`, `bindterm`);
3. expressions become vectors (`express`), by one rule for each operator and function (`rules`);
4. each SELECT runs (`block`): `conditions` and keys go down to the scans (`reading`), small sides are read first;
5. rows are joined by `keys`, grouped (`aggregate`), sorted and cut (`order`, `run`); `subquery` makes semi-joins;
6. whatever is not known to be exactly SQLite's raises NotVectorizable, from the first look at the text to the last
   value computed; nothing was given out by then, and SQLite answers the query itself.
"""

from colonnade.sql.select.answers import Answer, Context, NotVectorizable, answer, answer_to_write
from colonnade.sql.select.vector import Vector

__all__ = ["Answer", "Context", "NotVectorizable", "Vector", "answer", "answer_to_write"]
