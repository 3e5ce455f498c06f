package keeper

// TrialTime lets a test wait less for an agent that hangs.
var TrialTime = &trialTime
