"""The model: event description, features, the MDN-RNN in torch, and its file."""
