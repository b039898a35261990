// SPDX-License-Identifier: Apache-2.0
//
// Whether what has come of a JSON text so far can still become one: for texts that arrive in pieces.
//
//   JsonPrefix value;
//   for (char byte : piece) if (value.push(byte) != JsonPrefix::Step::taken) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plait::text {

class JsonPrefix {  // a value
 public:
  enum class Step : std::uint8_t {
    taken,     ///< The byte belongs to the value, which goes on.
    complete,  ///< The byte was the last one of the value.
    refused,   ///< No JSON object goes on so. The state is as before.
  };
  static constexpr std::size_t kDepthMax = 128;  ///< Objects and arrays within each other, as in JsonLimits.

  /// The next byte of one object (RFC 8259), which begins with `{` without space. Bytes above 0x7F are taken as they
  /// come within strings: whether they are UTF-8 is for others to say. Numbers of more than 64 characters or of three
  /// digits of exponent are refused: not every parser holds them. Requires: not complete().
  Step push(char byte);
  [[nodiscard]] bool complete() const { return state_ == State::end; }

 private:
  enum class State : std::uint8_t {
    begin,
    key_or_close,  // behind `{`
    key,           // behind `,` of an object
    colon,
    value,
    value_or_close,  // behind `[`
    comma,           // behind a value
    string,
    escape,
    hex,
    word,  // true, false, null
    minus,
    zero,
    digits,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,
    end,
  };
  Step open(char bracket);
  Step close(char bracket);
  Step begin_value(char byte);
  Step text_byte(char byte);
  Step number_byte(char byte);
  Step behind_value(char byte);
  Step go(State state) { return state_ = state, Step::taken; }

  State state_ = State::begin;
  std::string open_ = {};       // the brackets around, `{` or `[`
  bool is_key_ = false;         // the string at hand
  bool low_due_ = false;        // a high surrogate was written: `\u` and a low one must follow
  std::uint8_t hex_left_ = 0;   // digits of \u
  std::uint32_t hex_ = 0;       // those that came
  std::string_view word_ = {};  // what is left of it
  std::uint8_t number_ = 0;     // characters of the number at hand
  std::uint8_t exponent_ = 0;   // digits of its exponent
};

}  // namespace plait::text
