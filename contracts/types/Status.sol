// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Where a request stands. Open and Provisional can still change; the last three cannot.
/// @dev Judging is seen only from inside the call in which a tier judges a claim: it is the lock
///      that keeps that tier from answering or refunding the same request a second time.
enum Status {
    None, // never asked, as far as this oracle knows
    Open, // paid for and unanswered
    Judging, // a tier is at work on it, in this very call
    Provisional, // a claim stands, and its tier may still replace or withdraw it
    Final, // answered; the payee has been paid
    Retracted, // the tier withdrew the standing claim; the payment went back
    Refunded // the deadline passed; the payment went back
}
