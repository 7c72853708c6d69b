"""A small generic RETS server beside DDF: what DDF does not have, COMPACT above all.

What belongs here: Property:RES with invented rows, in COMPACT, COMPACT-DECODED and STANDARD-XML;
metadata in both formats; photos single and multipart. What does not: faults (``faults``).
"""
