"""One module for each revision. Released revisions are never edited; a change is a new one."""
