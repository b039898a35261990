// SPDX-License-Identifier: Apache-2.0
//
// The library's parser drives this handler without recursion. The handler builds the document itself, because the
// library's own ordered objects search all members for every new key, which is quadratic.
#include "text/json.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace plait::text {
namespace {

using base::ErrorCode;

// Up to this many members a linear search for an equal key is faster than hashing.
constexpr std::size_t kLinearMembersMax = 16;

class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(JsonLimits limits) : limits_(limits) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override {
    // Small whole numbers have one representation, whatever their sign was.
    return std::in_range<number_integer_t>(value) ? add(static_cast<number_integer_t>(value)) : add(value);
  }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (++values_ > limits_.values_max) return limit("values", limits_.values_max);
    Level& level = levels_.back();
    Members& members = level.value.get_ref<Json::object_t&>();
    level.slot = find(level, members, name);
    if (level.slot == members.size()) {
      if (members.size() >= kLinearMembersMax) level.index.emplace(name, members.size());
      members.emplace_back(std::move(name), nullptr);
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    if (!error_) error_ = base::Error{ErrorCode::invalid_data, fmt::format("JSON: not valid at byte {}", position), {}};
    return false;
  }

  base::Result<Json> take() && {
    if (error_) return std::unexpected(*std::move(error_));
    return std::move(root_);
  }

 private:
  using Members = Json::object_t::Container;  // a vector of pairs; the map's own look-up is linear
  struct Level {
    Json value;
    std::size_t slot = 0;  // of the member that waits for its value
    std::unordered_map<std::string, std::size_t> index = {};
  };

  static std::size_t find(Level& level, const Members& members, const std::string& name) {
    const std::size_t linear = std::min(members.size(), kLinearMembersMax);
    for (std::size_t i = 0; i < linear; ++i) {
      if (members[i].first == name) return i;
    }
    const auto found = level.index.find(name);
    return found == level.index.end() ? members.size() : found->second;
  }

  bool limit(std::string_view what, std::size_t most) {
    error_ = base::Error{ErrorCode::out_of_resources, fmt::format("JSON: more than {} {}", most, what), {}};
    return false;
  }

  bool put(Json value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Level& level = levels_.back();
    if (level.value.is_array()) {
      level.value.push_back(std::move(value));
    } else {
      static_cast<Members&>(level.value.get_ref<Json::object_t&>())[level.slot].second = std::move(value);
    }
    return true;
  }

  bool add(Json value) {
    if (++values_ > limits_.values_max) return limit("values", limits_.values_max);
    return put(std::move(value));
  }

  bool open(Json value) {
    if (++values_ > limits_.values_max) return limit("values", limits_.values_max);
    if (levels_.size() >= limits_.depth_max) return limit("levels", limits_.depth_max);
    levels_.push_back({std::move(value)});
    return true;
  }

  bool close() {
    Json value = std::move(levels_.back().value);
    levels_.pop_back();
    return put(std::move(value));
  }

  JsonLimits limits_;
  Json root_;
  std::vector<Level> levels_;
  std::size_t values_ = 0;
  std::optional<base::Error> error_;
};

}  // namespace

base::Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.bytes_max) {
    return base::fail(ErrorCode::out_of_resources,
                      fmt::format("JSON: {} bytes, at most {} are allowed", text.size(), limits.bytes_max));
  }
  Builder builder(limits);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder).take();
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace plait::text
