// SPDX-License-Identifier: Apache-2.0
#include "serving/http/multipart.h"

#include <gtest/gtest.h>

namespace plait::serving {
namespace {

constexpr const char* kType = "multipart/form-data; boundary=XX";

// name=content, with the file's name in brackets.
std::string shown(std::string_view type, std::string_view body) {
  const auto parts = read_form(type, body);
  if (!parts) return std::to_string(parts.error().status);
  std::string text;
  for (const FormPart& part : *parts) {
    text += part.name + (part.filename ? "[" + *part.filename + "]" : "") + "=" + std::string(part.content) + ";";
  }
  return text;
}

std::string part(std::string_view disposition, std::string_view content) {
  return "--XX\r\nContent-Disposition: form-data; " + std::string(disposition) + "\r\n\r\n" + std::string(content) +
         "\r\n";
}

TEST(Multipart, TakesFormsApart) {
  const std::string end = "--XX--\r\n";
  EXPECT_EQ(
      shown(kType, part("name=\"purpose\"", "batch") + part("name=\"file\"; filename=\"a b.txt\"", "1\r\n2\n") + end),
      "purpose=batch;file[a b.txt]=1\r\n2\n;");
  EXPECT_EQ(shown(kType, part("name=a", "") + end), "a=;");
  EXPECT_EQ(shown(kType, "for nobody\r\n" + part("name=a", "x") + end + "nor this"), "a=x;");
  EXPECT_EQ(shown(kType, part("name=\"a\\\"b\\\\c\\d\"", "x") + end), "a\"b\\c\\d=x;");
  EXPECT_EQ(shown(kType, "--XX \t\r\nX: y\r\ncontent-DISPOSITION:form-data;name=a\r\nZ: \r\n\r\nx\r\n" + end), "a=x;");
  EXPECT_EQ(shown(kType, part("name=a", "x --XX is no line of its own --XX--") + end),
            "a=x --XX is no line of its own --XX--;");
  EXPECT_EQ(shown(kType, "--XX--"), "");
  EXPECT_EQ(shown("Multipart/Form-Data; charset=utf-8; boundary=\"XX\"", part("name=a", "x") + end), "a=x;");
}

TEST(Multipart, RefusesOthers) {
  const std::string good = part("name=a", "x");
  for (const std::string& body :
       {std::string(), std::string("x"), std::string("--X"), std::string("--XX"), std::string("--XX\r\n"), good,
        good + "--XX", good + "--XX-", good + "--XXmore\r\n\r\nx\r\n--XX--", std::string("--XX\r\n\r\nx\r\n--XX--"),
        std::string("--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--"),
        std::string("--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XX--"),
        std::string("--XX\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--XX--"),
        "--XX\r\nX: " + std::string(kFormHeadBytesMax, 'x') + "\r\n\r\nx\r\n--XX--"}) {
    EXPECT_EQ(shown(kType, body), "400") << body.substr(0, 100);
  }
  EXPECT_EQ(shown("application/json", "{}"), "415");
  EXPECT_EQ(shown("", "{}"), "415");
  EXPECT_EQ(shown("multipart/form-data", "--XX--"), "400");
  EXPECT_EQ(shown("multipart/form-data; boundary=", "--XX--"), "400");
  EXPECT_EQ(shown("multipart/form-data; boundary=" + std::string(71, 'x'), "--XX--"), "400");
  std::string many;
  for (std::size_t i = 0; i <= kFormPartsMax; ++i) many += good;
  EXPECT_EQ(shown(kType, many + "--XX--"), "400");
}

TEST(Multipart, FindsParts) {
  const std::string body = part("name=a", "1") + part("name=a", "2") + "--XX--";
  const auto parts = *read_form(kType, body);
  ASSERT_NE(find_part(parts, "a"), nullptr);
  EXPECT_EQ(find_part(parts, "a")->content, "1");
  EXPECT_EQ(find_part(parts, "b"), nullptr);
}

}  // namespace
}  // namespace plait::serving
