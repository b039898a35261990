// SPDX-License-Identifier: Apache-2.0
//
// Any texts as events: a reader of server-sent events gets back what was written. The input is names and data in turn,
// each ended by the byte 1.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "serving/http/sse.h"

namespace {

using namespace plait;
using Event = std::pair<std::string, std::string>;  // name, data

class Recorder final : public serving::HttpExchange {
 public:
  explicit Recorder(std::string& body) : body_(body) {}
  void reply(serving::HttpReply /*reply*/) override {}
  void begin_stream(int /*status*/, std::string /*type*/, serving::HttpHeaders /*headers*/) override {}
  void write(std::string bytes) override { body_ += bytes; }
  void end() override {}
  void on_gone(std::function<void()> /*call*/) override {}
  [[nodiscard]] bool gone() const override { return false; }
  [[nodiscard]] std::size_t queued_bytes() const override { return 0; }

 private:
  std::string& body_;
};

// Lines as the standard has them: CRLF, LF and CR end one.
std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> all(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' || text[i] == '\n') {
      if (text.substr(i).starts_with("\r\n")) ++i;
      all.emplace_back();
    } else {
      all.back() += text[i];
    }
  }
  return all;
}

// HTML Living Standard, 9.2.6, for the fields event and data.
std::vector<Event> read(std::string_view stream) {
  std::vector<Event> events;
  std::string event_name;
  std::string data;
  for (const std::string& line : lines(stream)) {
    if (line.empty()) {
      if (!data.empty()) events.emplace_back(event_name, data.substr(0, data.size() - 1));
      event_name.clear();
      data.clear();
      continue;
    }
    const std::size_t colon = std::min(line.find(':'), line.size());
    std::string value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.erase(0, 1);
    if (line.substr(0, colon) == "event") event_name = value;
    if (line.substr(0, colon) == "data") data += value + '\n';
  }
  return events;
}

std::string in_one_line(std::string text) {
  for (char& c : text) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return text;
}

std::string with_line_feeds(std::string_view text) {
  std::string joined;
  for (const std::string& line : lines(text)) joined += line + '\n';
  joined.pop_back();
  return joined;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::string written;
  std::vector<Event> expected;
  {
    const serving::SseStream stream(serving::Responder(std::make_shared<Recorder>(written)));
    const auto next = [&] {
      const std::string_view text = rest.substr(0, rest.find('\x01'));
      rest.remove_prefix(std::min(text.size() + 1, rest.size()));
      return text;
    };
    while (!rest.empty()) {
      const std::string_view event_name = next();
      const std::string_view text = next();
      stream.event(event_name, text);
      stream.comment(text);
      expected.emplace_back(in_one_line(std::string(event_name)), with_line_feeds(text));
    }
    stream.done();
    expected.emplace_back("", "[DONE]");
  }
  PLAIT_CHECK(read(written) == expected);
  return 0;
}
