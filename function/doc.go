// Package function is what a program gives the node that is embedded in it: functions
// by name, which the cluster runs as children (func: in a tree file) on exactly the nodes
// it chose among those whose program has registered the name.
//
// Users meet it as cluster.Func, cluster.Life and cluster.Node.Register, or through
// node.Start. Package function/table runs the functions.
package function
