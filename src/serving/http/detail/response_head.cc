// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/response_head.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>

#include "base/ascii.h"

namespace plait::serving::detail {
namespace {

bool is_token(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

// Fields that only the connection may set.
bool is_ours(std::string_view name) {
  constexpr std::array<std::string_view, 5> kOurs{"connection", "content-length", "date", "transfer-encoding",
                                                  "x-request-id"};
  return std::ranges::any_of(kOurs, [&](std::string_view own) { return base::same_word(own, name); });
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  std::ranges::transform(value, std::back_inserter(head), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f ? ' ' : c;
  });
  head.append("\r\n");
}

}  // namespace

bool bodiless(int status) { return status < 200 || status == 204 || status == 304; }

std::string response_head(const HttpReply& reply, const HeadFacts& facts) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\ndate: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", reply.status,
                                 status_text(reply.status), fmt::gmtime(std::time(nullptr)));
  append_field(head, "x-request-id", facts.id);
  if (!bodiless(reply.status)) {
    if (!reply.content_type.empty()) append_field(head, "content-type", reply.content_type);
    if (facts.length) {
      append_field(head, "content-length", fmt::format("{}", *facts.length));
    } else if (facts.http_1_1) {
      append_field(head, "transfer-encoding", "chunked");
    }
  }
  if (facts.close) {
    append_field(head, "connection", "close");
  } else if (!facts.http_1_1) {
    append_field(head, "connection", "keep-alive");
  }
  if (!facts.cors_origin.empty()) {
    append_field(head, "access-control-allow-origin", facts.cors_origin);
    append_field(head, "access-control-expose-headers", "x-request-id, retry-after");
    append_field(head, "vary", "origin");
  }
  for (const auto& [name, value] : reply.headers) {
    if (is_token(name) && !is_ours(name)) append_field(head, name, value);
  }
  return head.append("\r\n");
}

}  // namespace plait::serving::detail
