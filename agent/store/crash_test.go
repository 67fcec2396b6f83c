package store_test

const childVar = "STORE_TEST_CHILD"

func child(string) {}
