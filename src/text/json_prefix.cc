// SPDX-License-Identifier: Apache-2.0
#include "text/json_prefix.h"

#include "base/check.h"

namespace plait::text {
namespace {

constexpr std::uint8_t kNumberMax = 64, kExponentMax = 2;

bool is_space(char byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }
bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/// 16: no digit.
std::uint32_t hex_value(char byte) {
  if (is_digit(byte)) return static_cast<std::uint32_t>(byte - '0');
  if (byte >= 'a' && byte <= 'f') return static_cast<std::uint32_t>(byte - 'a' + 10);
  if (byte >= 'A' && byte <= 'F') return static_cast<std::uint32_t>(byte - 'A' + 10);
  return 16;
}

}  // namespace

JsonPrefix::Step JsonPrefix::open(char bracket) {
  if (open_.size() >= kDepthMax) return Step::refused;
  open_ += bracket;
  return go(bracket == '{' ? State::key_or_close : State::value_or_close);
}

JsonPrefix::Step JsonPrefix::close(char bracket) {
  if (open_.back() != (bracket == '}' ? '{' : '[')) return Step::refused;
  open_.pop_back();
  if (!open_.empty()) return go(State::comma);
  state_ = State::end;
  return Step::complete;
}

JsonPrefix::Step JsonPrefix::begin_value(char byte) {
  const auto word = [this](std::string_view rest) {
    word_ = rest;
    return go(State::word);
  };
  const auto number = [this](State state) {
    number_ = 1;
    return go(state);
  };
  switch (byte) {
    case '{':
    case '[':
      return open(byte);
    case '"':
      is_key_ = false;
      return go(State::string);
    case 't':
      return word("rue");
    case 'f':
      return word("alse");
    case 'n':
      return word("ull");
    case '-':
      return number(State::minus);
    case '0':
      return number(State::zero);
    default:
      return is_digit(byte) ? number(State::digits) : Step::refused;
  }
}

JsonPrefix::Step JsonPrefix::text_byte(char byte) {
  if (low_due_ && !(state_ == State::hex || byte == (state_ == State::escape ? 'u' : '\\'))) return Step::refused;
  switch (state_) {
    case State::escape:
      if (byte == 'u') {
        hex_ = 0;
        hex_left_ = 4;
        return go(State::hex);
      }
      return std::string_view("\"\\/bfnrt").contains(byte) ? go(State::string) : Step::refused;
    case State::hex: {
      const std::uint32_t value = hex_value(byte);
      if (value > 15) return Step::refused;
      const std::uint32_t hex = hex_ * 16 + value;
      if (hex_left_ == 1) {
        const bool low = hex >= 0xDC00 && hex <= 0xDFFF;
        if (low != low_due_) return Step::refused;
        low_due_ = hex >= 0xD800 && hex <= 0xDBFF;
        state_ = State::string;
      }
      hex_ = hex;
      --hex_left_;
      return Step::taken;
    }
    default:
      if (byte == '\\') return go(State::escape);
      if (byte == '"') return go(is_key_ ? State::colon : State::comma);
      return static_cast<unsigned char>(byte) < 0x20 ? Step::refused : Step::taken;
  }
}

JsonPrefix::Step JsonPrefix::number_byte(char byte) {
  const bool digit = is_digit(byte);
  const bool exponent = byte == 'e' || byte == 'E';
  const State before = state_;
  State next = State::comma;
  if (state_ == State::minus) next = byte == '0' ? State::zero : digit ? State::digits : State::end;
  if (state_ == State::zero) next = byte == '.' ? State::point : exponent ? State::exponent : digit ? State::end : next;
  if (state_ == State::digits) next = digit ? state_ : byte == '.' ? State::point : exponent ? State::exponent : next;
  if (state_ == State::point) next = digit ? State::fraction : State::end;
  if (state_ == State::fraction) next = digit ? state_ : exponent ? State::exponent : next;
  if (state_ == State::exponent && (byte == '+' || byte == '-')) {
    next = State::exponent_sign;
  } else if (state_ == State::exponent || state_ == State::exponent_sign) {
    next = digit ? State::exponent_digits : State::end;
  }
  if (state_ == State::exponent_digits && digit) next = state_;
  if (next == State::end) return Step::refused;
  if (next == State::comma) {  // the number was over before this byte
    state_ = next;
    const Step step = behind_value(byte);
    if (step == Step::refused) state_ = before;
    return step;
  }
  if (number_ >= kNumberMax) return Step::refused;
  if (next == State::exponent) exponent_ = 0;
  if (next == State::exponent_digits && ++exponent_ > kExponentMax) return --exponent_, Step::refused;
  ++number_;
  return go(next);
}

JsonPrefix::Step JsonPrefix::behind_value(char byte) {
  if (is_space(byte)) return Step::taken;
  if (byte == ',') return go(open_.back() == '{' ? State::key : State::value);
  return byte == '}' || byte == ']' ? close(byte) : Step::refused;
}

JsonPrefix::Step JsonPrefix::push(char byte) {
  PLAIT_CHECK(!complete());
  switch (state_) {
    case State::begin:
      return byte == '{' ? open(byte) : Step::refused;
    case State::key_or_close:
    case State::key:
      if (is_space(byte)) return Step::taken;
      if (byte == '}' && state_ == State::key_or_close) return close(byte);
      if (byte != '"') return Step::refused;
      is_key_ = true;
      return go(State::string);
    case State::colon:
      if (is_space(byte)) return Step::taken;
      return byte == ':' ? go(State::value) : Step::refused;
    case State::value_or_close:
    case State::value:
      if (is_space(byte)) return Step::taken;
      return byte == ']' && state_ == State::value_or_close ? close(byte) : begin_value(byte);
    case State::comma:
      return behind_value(byte);
    case State::string:
    case State::escape:
    case State::hex:
      return text_byte(byte);
    case State::word:
      if (byte != word_.front()) return Step::refused;
      word_.remove_prefix(1);
      return word_.empty() ? go(State::comma) : Step::taken;
    default:
      return number_byte(byte);
  }
}

}  // namespace plait::text
