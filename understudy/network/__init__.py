"""The candidate: from the pictures of any camera rig to a bird's-eye view, and from that to a plan.

samples     a frozen dataset as arrays in memory-mapped files; knows no torch
views       the virtual camera: the same pictures seen from a car that stands a little elsewhere
sizes       the one dial, nano | small | base | large, and what follows from it
backbone    pictures -> feature maps, the same for every camera
bev         feature maps -> bird's-eye view by a table of the rig; past views moved to where the car is now
plan        bird's-eye view -> modes, their probabilities and spread
model       all of it: encode(frame), decide(features of the history); how a frame looks, as an embedding
judge       modes held against what the view shows, when a plan is asked for
scorer      what each mode would be worth by the metrics, foretold
distil      how that is learned, once a network can plan
losses      what each head should have said, and nothing where that is unknown
lessons     how a sample's path would pull at what the network knows: what it has to learn from it
muon        how kernels move when they learn
predict     a trained network out of the lake, and what it says of samples
export      ONNX with its card
"""
