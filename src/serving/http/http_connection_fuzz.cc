// SPDX-License-Identifier: Apache-2.0
//
// Any bytes on a connection: what one parser reads does not depend on where the bytes are cut, and the server answers
// with HTTP or not at all, and goes on.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "serving/http/detail/request_parser.h"
#include "serving/http/router.h"
#include "serving/http/server.h"

namespace {

using namespace plait;
using serving::detail::RequestParser;

constexpr std::size_t kBodyMax = 4096;

// Each request, and how it ended.
std::string parsed(std::string_view bytes, std::size_t piece) {
  using State = RequestParser::State;
  std::string story;
  std::string waiting;
  auto parser = std::make_unique<RequestParser>(serving::HttpLimits{});
  while (!bytes.empty()) {
    waiting += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (!waiting.empty()) {
      const std::size_t taken = parser->feed(waiting);
      PLAIT_CHECK(taken <= waiting.size());
      waiting.erase(0, taken);
      if (parser->state() == State::gate) {
        PLAIT_CHECK(parser->request().path.starts_with('/') || parser->request().path == "*");
        PLAIT_CHECK(parser->request().headers.count("content-length") < 2);
        parser->admit_body(kBodyMax);
      }
      if (parser->state() == State::refused) return story + "refused " + std::string(name(parser->refusal()));
      if (parser->state() == State::done) {
        const serving::HttpRequest& request = parser->request();
        PLAIT_CHECK(request.body.size() <= kBodyMax);
        story.append(name(request.method)).append(" ").append(request.path).append(" ").append(request.body) += '\n';
        parser = std::make_unique<RequestParser>(serving::HttpLimits{});
      } else if (taken == 0) {
        break;
      }
    }
  }
  return story;
}

class Served {
 public:
  Served() {
    serving::HttpRouter router;
    const auto echo = [](const serving::HttpRequest& request, const serving::Responder& responder) {
      if (request.query_value("stream")) {
        responder.begin_stream(200, "text/plain");
        responder.write(request.body);
        return responder.end();
      }
      responder.reply({.body = request.body});
    };
    for (const auto method : {serving::HttpMethod::get, serving::HttpMethod::post})
      router.add(method, "/{all...}", echo);
    serving::HttpServerOptions options{.listen = {"unix:" + path_}};
    options.policy.limits.body_bytes = kBodyMax;
    options.policy.timeouts.linger = 0.05;
    auto server = serving::HttpServer::make(std::move(options), router.handler());
    PLAIT_CHECK(server.has_value());
    server_ = *std::move(server);
  }

  // All that comes back.
  [[nodiscard]] std::string ask(std::string_view bytes) const {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path_.copy(to.sun_path, sizeof to.sun_path - 1);
    const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    PLAIT_CHECK(connect(descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    static_cast<void>(send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    shutdown(descriptor, SHUT_WR);
    std::string answer;
    char part[4096];
    for (ssize_t got = 0; (got = recv(descriptor, part, sizeof part, 0)) > 0;) {
      answer.append(part, static_cast<std::size_t>(got));
    }
    close(descriptor);
    return answer;
  }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / ("plait-fuzz-" + std::to_string(getpid()))).string();
  std::unique_ptr<serving::HttpServer> server_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Served served;
  if (size < 2 || size > 60'000) return 0;
  // The end of any header: a bad one is refused at its end or earlier, depending on the pieces.
  const std::string bytes = std::string(reinterpret_cast<const char*>(data) + 1, size - 1) + "\r\n\r\n";
  const std::size_t piece = data[0] % 64 + std::size_t{1};
  PLAIT_CHECK(parsed(bytes, piece) == parsed(bytes, bytes.size()));
  if (data[0] >= 64) return 0;  // one in four: a connection takes a hundred times as long
  const std::string answer = served.ask(bytes);
  PLAIT_CHECK(answer.empty() || answer.starts_with("HTTP/1.1 "), answer);
  return 0;
}
