class Cameras: pass
