//! What can only be tested from inside: the words of the table, and the number of steps.
