"""Building blocks of the pages: elements, inputs, tables, dialogs, labels."""
