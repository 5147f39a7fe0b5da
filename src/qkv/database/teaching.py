"""Teaching: telling a store what is right, and letting it learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qkv.database.arguments import answers, check_pairs
from qkv.encoders import Progress
from qkv.errors import InputError
from qkv.learning import Learning
from qkv.lessons import Lessons, Pair
from qkv.space import Query, check_query
from qkv.types import Value

__all__ = ["Teaching"]


class Teaching:
    """The part of :class:`qkv.Database` that gets better."""

    _lessons: Lessons

    def feedback(self, q: Query, *, good: Value = None, bad: Any = ()) -> None:
        """Say what the right answer to a question is, or what a wrong one was.

        It is kept in the file and holds at once: the same question is answered by what is good,
        and not by what is bad; questions like it are drawn towards it, as the question has become
        a key (one that the dict does not show). :meth:`learn` learns from it, too.

        Parameters
        ----------
        q : str or array (d,)
        good : value, optional
            The right answer: the key of the record that has it, or the value itself, be it stored
            or not.
        bad : value, or list of values
            Wrong answers: keys of records, or values.

        Raises
        ------
        InputError
            If neither is given.

        Examples
        --------
        >>> from qkv import Database
        >>> db = Database({"one": "number", "cat": "animal"}, encoder="hashing", lexicon=None)
        >>> db.feedback("tiger", good="animal")
        >>> db.query("tiger"), "tiger" in db
        (['animal'], False)
        """
        wrong = answers(bad)
        if good is None and not wrong:
            raise InputError(
                "feedback says what is right or what is wrong: db.feedback(q, good='number') or "
                "db.feedback(q, bad=['shape'])"
            )
        self._lessons.correct(check_query(q), good, wrong)

    def learn(
        self,
        pairs: Sequence[Pair] | None = None,
        *,
        negatives: Sequence[Sequence[Query]] | None = None,
        keys: bool = False,
        progress: Progress | None = None,
    ) -> Learning:
        """Learn to look at the right records: from pairs, corrections and repeated values.

        W_Q, a linear map of queries, is trained by multiple negatives ranking loss, so that a
        question's right keys score above all others (:mod:`qkv.learning`). It is kept only if
        questions that were held out are answered better for it, beyond chance, and the store's own
        records no worse. Stored vectors stay as they are; :meth:`unlearn` goes back.

        Parameters
        ----------
        pairs : list of (query, key), optional
            Questions and the key that answers each: that of a record, or a text of its own. Queries
            may be vectors, of another length than keys, too. None: corrections (:meth:`feedback`)
            and records that share a value, which need no pairs.
        negatives : list of lists, optional
            For each pair, keys or texts that are wrong answers.
        keys : bool
            Also learn W_K, a map of keys. It often answers better; keys are projected once, and
            the index of a large store is built anew.
        progress : callable, optional
            Called with (steps done, steps in all).

        Returns
        -------
        Learning
            Whether it was kept, and how held-out questions were answered before and after.

        Raises
        ------
        InputError
            If pairs are none, or the store's metric is not cosine.

        Examples
        --------
        >>> from qkv import Database
        >>> db = Database({"one": "number", "cat": "animal"}, encoder="hashing", lexicon=None)
        >>> db.learn().kept  # two records that share nothing
        False
        """
        pairs = None if pairs is None else check_pairs(pairs)
        return self._lessons.learn(pairs, negatives, keys=keys, progress=progress)

    def unlearn(self) -> bool:
        """Go back to what held before the last :meth:`learn` that was kept.

        Returns
        -------
        bool
            Whether there was anything to go back to.

        Examples
        --------
        >>> from qkv import Database
        >>> Database({"one": "number"}, encoder="hashing").unlearn()
        False
        """
        return self._lessons.unlearn()
