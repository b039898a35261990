// SPDX-License-Identifier: Apache-2.0
//
// Random requests, damaged and cut at random points: the server answers or closes, and goes on.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "serving/http/detail/request_parser.h"
#include "serving/http/loopback_test_client.h"
#include "serving/http/server.h"

namespace plait::serving {
namespace {

constexpr std::array<std::string_view, 6> kSeeds{
    "GET /v1/models?a=1&b=%20 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n",
    "POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: "
    "1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a\r\nExpect: 100-continue\r\n\r\n",
    "HEAD http://localhost/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "\r\n\r\nDELETE /a/../b HTTP/1.1\r\nhost:localhost\r\nx: a\r\n b\r\n\r\n"};

// Draws of one seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(seed) {}
  std::size_t below(std::size_t n) { return base::random_u64(seed_, drawn_++) % n; }

 private:
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
};

std::string noise(Dice& dice) {
  constexpr std::array<std::string_view, 8> kPieces{
      "\r\n", "\r\n\r\n", ":", "Content-Length: 3\r\n", "0\r\n\r\n", "ffffffff", "Transfer-Encoding: chunked\r\n", "%"};
  std::string bytes;
  for (std::size_t i = dice.below(3) + 1; i > 0; --i) bytes += kSeeds[dice.below(kSeeds.size())];
  for (std::size_t i = dice.below(6); i > 0; --i) {
    const std::size_t at = dice.below(bytes.size());
    switch (dice.below(4)) {
      case 0:
        bytes[at] = static_cast<char>(dice.below(256));
        break;
      case 1:
        bytes.insert(at, kPieces[dice.below(kPieces.size())]);
        break;
      case 2:
        bytes.erase(at, dice.below(20));
        break;
      default:
        bytes.insert(at, bytes.substr(dice.below(bytes.size()), dice.below(40)));
    }
    if (bytes.empty()) bytes = "x";
  }
  return bytes;
}

// What one parser makes of bytes that come in pieces: each request, and how it ended.
std::string parsed(std::string_view bytes, Dice* dice) {
  using State = detail::RequestParser::State;
  std::string story;
  std::string waiting;
  auto parser = std::make_unique<detail::RequestParser>(HttpLimits{});
  while (!bytes.empty()) {
    const std::size_t piece = dice == nullptr ? bytes.size() : dice->below(bytes.size()) + 1;
    waiting += bytes.substr(0, piece);
    bytes.remove_prefix(piece);
    while (!waiting.empty()) {
      const std::size_t taken = parser->feed(waiting);
      waiting.erase(0, taken);
      if (parser->state() == State::gate) parser->admit_body(100);
      if (parser->state() == State::refused) return story + "refused " + std::string(name(parser->refusal()));
      if (parser->state() == State::done) {
        const HttpRequest& request = parser->request();
        story += std::string(name(request.method)) + " " + request.path + " " + request.body + "\n";
        parser = std::make_unique<detail::RequestParser>(HttpLimits{});
      } else if (taken == 0) {
        break;
      }
    }
  }
  return story;
}

TEST(HttpNoise, SplitsDoNotChangeWhatIsRead) {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    Dice dice(seed);
    // The end of any header: a bad one is refused at its end or earlier, depending on the pieces.
    const std::string bytes = noise(dice) + "\r\n\r\n";
    ASSERT_EQ(parsed(bytes, &dice), parsed(bytes, nullptr)) << "seed " << seed << "\n" << bytes;
  }
}

TEST(HttpNoise, TheServerGoesOn) {
  HttpPolicy policy;
  policy.timeouts.header = 0.2;
  policy.timeouts.body = 0.2;
  policy.timeouts.linger = 0.1;
  policy.timeouts.idle = 0.2;
  const auto server = serve(echo, policy);
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Dice dice(seed);
    const std::string bytes = noise(dice);
    TestClient client(server->addresses()[0]);
    ASSERT_TRUE(client.connected());
    for (std::string_view rest = bytes; !rest.empty();) {
      const std::size_t piece = dice.below(rest.size()) + 1;
      if (!client.send(rest.substr(0, piece))) break;
      rest.remove_prefix(piece);
    }
    if (dice.below(2) == 0) client.shutdown_send();
    if (dice.below(8) == 0) {
      EXPECT_TRUE(client.sees_end()) << "seed " << seed;
    }
    if (seed % 20 == 0) {
      ASSERT_EQ(TestClient(server->addresses()[0]).ask(get("/good")).body, "GET /good ") << seed;
    }
  }
  EXPECT_EQ(TestClient(server->addresses()[0]).ask(get("/good")).body, "GET /good ");
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 0; }));
}

}  // namespace
}  // namespace plait::serving
