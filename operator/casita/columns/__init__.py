"""The front door of ServiceX: who may deliver columns, of what, and for how long."""
