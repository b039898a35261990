// SPDX-License-Identifier: Apache-2.0
#include "evaluation/enumeration.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace plait::evaluation {
namespace {

const EnumerationTask& task(std::string_view name) {
  for (const EnumerationTask& one : enumeration_tasks()) {
    if (one.name() == name) return one;
  }
  return enumeration_tasks().front();
}

std::vector<std::size_t> items(std::string_view of, std::string_view text) {
  std::vector<std::size_t> found;
  for (const NamedItem& one : named_items(task(of), text)) found.push_back(one.item);
  return found;
}

TEST(EnumerationTasks, AskForNoMoreThanThereIs) {
  std::set<std::string> names;
  for (const EnumerationTask& one : enumeration_tasks()) {
    names.insert(one.name());
    EXPECT_LE(one.asked(), one.items()) << one.name();
    EXPECT_GE(one.asked(), 7U);
    EXPECT_FALSE(one.question().empty());
  }
  EXPECT_EQ(names.size(), 20U);
}

TEST(EnumerationTasks, KnowAnItemByItsNames) {
  const EnumerationTask& animals = task("animals");
  const auto dog = animals.find("dog");
  ASSERT_TRUE(dog);
  for (const char* name : {"Dog", "dogs", " the dog!", "**Dog**", "12) DOGS", "a  dog"}) {
    EXPECT_EQ(animals.find(name), dog) << name;
  }
  EXPECT_EQ(animals.find("mice"), animals.find("Mouse"));
  EXPECT_EQ(animals.find("polar  bear"), animals.find("bears"));
  for (const char* name : {"", "s", "dogfish", "dog cat", "unicorn", "\xFF"}) EXPECT_FALSE(animals.find(name)) << name;
}

TEST(NamedItems, StandBetweenSeparators) {
  EXPECT_EQ(items("days", "Monday, Tuesday and Sunday."), (std::vector<std::size_t>{0, 1, 6}));
  EXPECT_EQ(items("days", "1. Monday\n2. Tuesday\n - Mon\n"), (std::vector<std::size_t>{0, 1, 0}));
  EXPECT_EQ(items("days", "On a Monday we rest"), std::vector<std::size_t>{});
  EXPECT_EQ(items("days", ""), std::vector<std::size_t>{});
  const auto named = named_items(task("days"), "Mon, Tue");
  ASSERT_EQ(named.size(), 2U);
  EXPECT_EQ(named[0].end, 4U);
  EXPECT_EQ(named[1].end, 8U);
}

}  // namespace
}  // namespace plait::evaluation
