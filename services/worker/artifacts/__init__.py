"""Files and names of a job: inputs on their way in, outputs on their way out, and the graph that names them."""
