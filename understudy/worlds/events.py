"""stub"""
from __future__ import annotations
import numpy as np
from understudy.worlds.traffic import Crowd
_NOBODY = Crowd(*(np.zeros(0, float if 2 <= i < 6 else np.int64) for i in range(7)))
class Events:
    def __init__(self, world): self.ignored=-1
    def shift(self,s): return np.zeros(np.shape(s))
    def clear_of(self,w): return w
    def brake(self): return np.inf
    def before(self): pass
    def after(self,m): return _NOBODY
    def darkened(self,state,t=None): return state
    def happened(self): return ()
