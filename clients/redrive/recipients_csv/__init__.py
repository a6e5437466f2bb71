"""Recipients of a message in a CSV file. The whole file is checked before anything is sent, in constant memory."""

from redrive.recipients_csv.columns import CsvProblem
from redrive.recipients_csv.file import PROBLEMS_SHOWN, BadCsv, RecipientsCsv, RepeatedId

__all__ = ["PROBLEMS_SHOWN", "BadCsv", "CsvProblem", "RecipientsCsv", "RepeatedId"]
