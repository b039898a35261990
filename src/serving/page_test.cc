// SPDX-License-Identifier: Apache-2.0
#include "serving/page.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "serving/api_test_fixture.h"

namespace plait::serving {
namespace {

HttpReply ask(HttpHeaders headers) {
  HttpRouter router;
  add_page(router);
  const auto exchange = std::make_shared<RecordedExchange>();
  router.route({.path = "/", .headers = std::move(headers)}, Responder(exchange));
  return exchange->wait();
}

TEST(Page, IsOneDocumentWithEverythingInside) {
  const HttpReply reply = ask({});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/html; charset=utf-8");
  EXPECT_TRUE(reply.body.starts_with("<!doctype html>"));
  EXPECT_TRUE(reply.body.ends_with("</html>\n"));
  for (const char* outside : {"src=\"", "rel=\"stylesheet\"", "@import", "http://", "https://"}) {
    EXPECT_EQ(reply.body.find(outside), std::string::npos) << outside;
  }
}

TEST(Page, AllowsOnlyItsOwnScriptsAndServer) {
  const std::string policy(ask({}).headers.find("content-security-policy").value_or(""));
  for (const char* part : {"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "connect-src 'self'",
                           "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"}) {
    EXPECT_NE(policy.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
}

TEST(Page, IsNotSentTwice) {
  const std::string etag(ask({}).headers.find("etag").value_or(""));
  ASSERT_GT(etag.size(), 2U);
  for (const std::string& known : {etag, "W/" + etag, "\"other\", " + etag, std::string("*")}) {
    const HttpReply reply = ask({{"if-none-match", known}});
    EXPECT_EQ(reply.status, 304) << known;
    EXPECT_TRUE(reply.body.empty());
    EXPECT_EQ(reply.headers.find("etag"), etag);
  }
  EXPECT_EQ(ask({{"if-none-match", "\"other\""}}).status, 200);
}

}  // namespace
}  // namespace plait::serving
