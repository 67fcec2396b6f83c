package record_test

func recordUntilKilled(string) {}
