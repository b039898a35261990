// SPDX-License-Identifier: Apache-2.0
#include "serving/http/detail/gates.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace plait::serving::detail {
namespace {

bool lists(const std::vector<std::string>& list, std::string_view text) {
  return std::ranges::any_of(list, [&](const std::string& item) { return item == "*" || base::same_word(item, text); });
}

}  // namespace

std::string_view without_port(std::string_view host) {
  const bool bracketed = host.starts_with('[');
  const std::size_t end = std::min(host.find(bracketed ? ']' : ':'), host.size());
  if (bracketed && end == host.size()) return host;
  std::string_view port = host.substr(bracketed ? end + 1 : end);
  if (!port.empty() && port.front() != ':') return host;
  port.remove_prefix(std::min<std::size_t>(1, port.size()));
  if (!std::ranges::all_of(port, [](char c) { return '0' <= c && c <= '9'; })) return host;
  return bracketed ? host.substr(1, end - 1) : host.substr(0, end);
}

bool host_allowed(const HttpAccess& access, std::string_view host, std::string_view reached) {
  const std::string_view name = without_port(host);
  for (const std::string_view known :
       {std::string_view("localhost"), std::string_view("127.0.0.1"), std::string_view("::1"), reached}) {
    if (base::same_word(name, known)) return true;
  }
  return lists(access.hosts, name);
}

Origin origin_of(const HttpAccess& access, const HttpHeaders& headers, std::string_view host) {
  const auto origin = headers.find("origin");
  if (!origin) return Origin::none;
  for (std::string own : {"http://", "https://"}) {
    if (base::same_word(*origin, own.append(host))) return Origin::own;
  }
  return lists(access.origins, *origin) ? Origin::allowed : Origin::foreign;
}

HttpReply preflight_reply(const HttpHeaders& headers) {
  HttpReply reply{.status = 204};
  reply.headers.add("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  const auto wanted = headers.find("access-control-request-headers");
  reply.headers.add("access-control-allow-headers", std::string(wanted.value_or("authorization, content-type")));
  reply.headers.add("access-control-max-age", "600");
  return reply;
}

std::string address_group(const std::string& address) {
  in6_addr binary{};
  if (inet_pton(AF_INET6, address.c_str(), &binary) != 1) return address;
  std::fill(std::begin(binary.s6_addr) + 8, std::end(binary.s6_addr), std::uint8_t{0});
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &binary, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

}  // namespace plait::serving::detail
