// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {wordAt} from "./Bytes.sol";

/// @title DER, read strictly: a length has one form, a number has one form.
/// @notice ITU-T X.690, 8.1 and 10.1 (lengths), 8.3 (integers).
library Der {
    bytes1 internal constant BOOLEAN = 0x01;
    bytes1 internal constant INTEGER = 0x02;
    bytes1 internal constant BITS = 0x03;
    bytes1 internal constant OCTETS = 0x04;
    bytes1 internal constant OBJECT = 0x06;
    bytes1 internal constant UTC_TIME = 0x17;
    bytes1 internal constant TIME = 0x18;
    bytes1 internal constant SEQUENCE = 0x30;

    /// @notice No such element at that byte, or one that is written otherwise than DER has it.
    error NotDer(uint256 at);

    /// @dev The element of `tag` at `at`, within data[:end]: where its contents begin and end. What
    ///      comes next begins where it ends.
    function open(bytes memory data, uint256 at, uint256 end, bytes1 tag)
        internal
        pure
        returns (uint256 from, uint256 to)
    {
        if (at + 2 > end || data[at] != tag) revert NotDer(at);
        from = at + 2;
        uint256 size = uint8(data[at + 1]);
        if (size > 0x7f) {
            uint256 count = size - 0x80;
            if (count == 0 || count > 2 || from + count > end) revert NotDer(at);
            size = uint256(wordAt(data, from)) >> (256 - 8 * count);
            if (size < (count == 1 ? 0x80 : 0x100)) revert NotDer(at);
            from += count;
        }
        to = from + size;
        if (to > end) revert NotDer(at);
    }

    /// @dev The same of an element that takes all of data[at:end].
    function only(bytes memory data, uint256 at, uint256 end, bytes1 tag)
        internal
        pure
        returns (uint256 from)
    {
        uint256 to;
        (from, to) = open(data, at, end, tag);
        if (to != end) revert NotDer(at);
    }

    /// @dev An INTEGER from 0 to 2^256 - 1.
    function number(bytes memory data, uint256 at, uint256 end)
        internal
        pure
        returns (uint256 value, uint256 to)
    {
        uint256 from;
        (from, to) = open(data, at, end, INTEGER);
        if (from == to || data[from] > 0x7f) revert NotDer(at);
        if (data[from] == 0 && to - from > 1) {
            ++from;
            if (data[from] < 0x80) revert NotDer(at);
        }
        if (to - from > 32) revert NotDer(at);
        value = uint256(wordAt(data, from)) >> (256 - 8 * (to - from));
    }

    /// @dev A UTCTime or GeneralizedTime of seconds, as RFC 5280, 4.1.2.5 has it: since 1970.
    function time(bytes memory data, uint256 at, uint256 end)
        internal
        pure
        returns (uint256 timestamp, uint256 to)
    {
        bool long = at < end && data[at] == TIME;
        uint256 from;
        (from, to) = open(data, at, end, long ? TIME : UTC_TIME);
        if (to - from != (long ? 15 : 13) || data[to - 1] != "Z") revert NotDer(at);
        uint256 year = _pair(data, from);
        if (long) {
            year = 100 * year + _pair(data, from + 2);
            from += 2;
        } else {
            year += year < 50 ? 2000 : 1900;
        }
        uint256 month = _pair(data, from + 2);
        uint256 day = _pair(data, from + 4);
        uint256 hour = _pair(data, from + 6);
        uint256 minute = _pair(data, from + 8);
        uint256 second = _pair(data, from + 10);
        if (
            year < 1970 || month == 0 || month > 12 || day == 0 || day > 31 || hour > 23
                || minute > 59 || second > 59
        ) revert NotDer(at);
        timestamp = (_days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    }

    /// @dev Two digits.
    function _pair(bytes memory data, uint256 at) private pure returns (uint256) {
        uint256 tens = uint8(data[at]) ^ 0x30;
        uint256 ones = uint8(data[at + 1]) ^ 0x30;
        if (tens > 9 || ones > 9) revert NotDer(at);
        return 10 * tens + ones;
    }

    /// @dev Days since 1970-01-01. Years begin in March here, so that the leap day ends one.
    function _days(uint256 year, uint256 month, uint256 day) private pure returns (uint256) {
        if (month < 3) {
            --year;
            month += 12;
        }
        uint256 leaps = year / 4 - year / 100 + year / 400;
        return 365 * year + leaps + (153 * (month - 3) + 2) / 5 + day - 719_469;
    }
}
