// SPDX-License-Identifier: Apache-2.0
#include "store/objects.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include "testing/temp_dir.h"

namespace plait::store {
namespace {

using base::ErrorCode;

constexpr ObjectsOf kNotes{.kind = "note", .owner = "alice"};

Object note(std::string id, std::string content = "text", base::Bytes bytes = 1) {
  return {.id = std::move(id),
          .kind = "note",
          .owner = "alice",
          .label = content.starts_with('b') ? "b" : "a",
          .created = 100,
          .bytes = bytes,
          .content = std::move(content),
          .more = "more"};
}

class ObjectsTest : public ::testing::Test {
 protected:
  std::vector<std::string> ids(const ObjectQuery& query, ObjectsOf of = kNotes) {
    std::vector<std::string> all;
    const auto found = *objects_->list(of, query);
    for (const Object& object : *found) all.push_back(object.id);
    return all;
  }
  void put_all(const std::vector<std::string>& names) {
    for (const std::string& name : names) ASSERT_TRUE(objects_->commit({put(note(name, name))}));
  }
  void reopen() {
    objects_.reset();
    objects_ = *Objects::open(folder_ / "objects.db");
  }

  testing::TempDir folder_;
  std::unique_ptr<Objects> objects_ = *Objects::open(folder_ / "objects.db");
};

TEST_F(ObjectsTest, AreFoundByTheirOwnersOnly) {
  ASSERT_TRUE(objects_->commit({put(note("n1"))}));
  const auto found = *objects_->find(kNotes, "n1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->content, "text");
  EXPECT_EQ(found->more, "more");
  EXPECT_EQ(found->created, 100);
  EXPECT_FALSE(*objects_->find({.kind = "note", .owner = "bob"}, "n1"));
  EXPECT_FALSE(*objects_->find({.kind = "other", .owner = "alice"}, "n1"));
  EXPECT_FALSE(*objects_->find(kNotes, "' OR 1=1 --"));
  ASSERT_TRUE(objects_->commit({removal({.kind = "note", .owner = "bob"}, "n1")}));
  EXPECT_TRUE(*objects_->find(kNotes, "n1"));
  Object stolen = note("n1");
  stolen.owner = "bob";
  EXPECT_EQ(objects_->commit({put(stolen)}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ((*objects_->find(kNotes, "n1"))->content, "text");
  ASSERT_TRUE(objects_->commit({removal(kNotes, "n1")}));
  EXPECT_FALSE(*objects_->find(kNotes, "n1"));
}

TEST_F(ObjectsTest, AreListedInTheirOrder) {
  put_all({"a1", "b1", "a2", "b2", "a3"});
  EXPECT_EQ(ids({}), (std::vector<std::string>{"a3", "b2", "a2", "b1", "a1"}));
  EXPECT_EQ(ids({.newest_first = false}), (std::vector<std::string>{"a1", "b1", "a2", "b2", "a3"}));
  EXPECT_EQ(ids({.after = "a2"}), (std::vector<std::string>{"b1", "a1"}));
  EXPECT_EQ(ids({.label = "a", .after = "a1", .newest_first = false}), (std::vector<std::string>{"a2", "a3"}));
  EXPECT_EQ(ids({.count_max = 2}), (std::vector<std::string>{"a3", "b2"}));
  EXPECT_TRUE(ids({}, {.kind = "note", .owner = "bob"}).empty());
  EXPECT_FALSE(*objects_->list(kNotes, {.after = "nobody"}));
  ASSERT_TRUE(objects_->commit({put(note("a1", "again"))}));
  EXPECT_EQ(ids({}).back(), "a1");  // in its old place
}

TEST_F(ObjectsTest, CountForWhatTheyAre) {
  ASSERT_TRUE(objects_->commit({put(note("n1", "x", 60), 100)}));
  EXPECT_EQ(objects_->commit({put(note("n2", "x", 41), 100)}).error().code, ErrorCode::out_of_resources);
  EXPECT_FALSE(*objects_->find(kNotes, "n2"));
  ASSERT_TRUE(objects_->commit({put(note("n2", "x", 40), 100)}));
  ASSERT_TRUE(objects_->commit({put(note("n1", "x", 10), 100)}));
  EXPECT_EQ(*objects_->bytes(kNotes), 50U);
  ASSERT_TRUE(objects_->commit({removal(kNotes, "n2")}));
  EXPECT_EQ(*objects_->bytes(kNotes), 10U);
  EXPECT_EQ(*objects_->bytes({.kind = "note", .owner = "bob"}), 0U);
}

TEST_F(ObjectsTest, TheOldestGo) {
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(objects_->commit({put(note(fmt::format("n{}", i), "x", 10)), trim(kNotes, 30, 0)}));
  EXPECT_EQ(ids({}), (std::vector<std::string>{"n9", "n8", "n7"}));
  Object late = note("late");
  late.created = 200;
  ASSERT_TRUE(objects_->commit({put(late), trim(kNotes, 1000, 150)}));
  EXPECT_EQ(ids({}), std::vector<std::string>{"late"});
}

TEST_F(ObjectsTest, ACommitIsWholeOrNothing) {
  put_all({"n1"});
  Object stolen = note("n1");
  stolen.owner = "bob";
  EXPECT_FALSE(objects_->commit({put(note("n2")), put(stolen), removal(kNotes, "n1")}));
  EXPECT_EQ(ids({}), std::vector<std::string>{"n1"});
}

TEST_F(ObjectsTest, SurviveBeingClosed) {
  put_all({"a1", "a2"});
  ASSERT_TRUE(objects_->commit({removal(kNotes, "a1")}));
  objects_->submit({put(note("a3"))}, [](base::Result<void>) {});
  reopen();
  EXPECT_EQ(ids({}), (std::vector<std::string>{"a3", "a2"}));
  EXPECT_EQ(objects_->all("note", "a")->front().more, "more");
}

// Many threads: everybody's own commit, refusals of some among them.
TEST_F(ObjectsTest, CommitTogether) {
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          const bool too_large = i % 5 == 0;
          const auto done = objects_->commit({put(note(fmt::format("{}-{}", t, i), "x", too_large ? 5000 : 1), 1000)});
          refused += done ? 0 : 1;
        }
      });
    }
  }
  EXPECT_EQ(refused, 8 * 4);
  EXPECT_EQ(ids({.count_max = 1000}).size(), 8U * 16U);
  EXPECT_EQ(*objects_->bytes(kNotes), 8U * 16U);
}

// A process that is killed while it writes: what it said was done is there, in whole commits.
TEST_F(ObjectsTest, SurviveAKill) {
  objects_.reset();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto mine = *Objects::open(folder_ / "objects.db");
    for (std::uint32_t i = 0;; ++i) {
      const bool done =
          mine->commit({put(note(fmt::format("a{}", i))), put(note(fmt::format("b{}", i), "b"))}).has_value();
      if (!done || ::write(pipe[1], &i, sizeof i) != sizeof i) _exit(1);
    }
  }
  std::uint32_t last = 0;
  for (int i = 0; i < 20; ++i) ASSERT_EQ(::read(pipe[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  close(pipe[1]);
  while (::read(pipe[0], &last, sizeof last) == static_cast<ssize_t>(sizeof last)) continue;
  close(pipe[0]);
  reopen();
  for (std::uint32_t i = 0; i <= last; ++i) {
    ASSERT_TRUE(*objects_->find(kNotes, fmt::format("a{}", i))) << i;
    ASSERT_TRUE(*objects_->find(kNotes, fmt::format("b{}", i))) << i;
  }
  EXPECT_EQ(objects_->all("note", "a")->size(), objects_->all("note", "b")->size());
}

TEST_F(ObjectsTest, WhatIsNoTableIsRefused) {
  objects_.reset();
  std::ofstream(folder_ / "other.db") << "this is a text file and not a database of any kind, however long it is";
  EXPECT_EQ(Objects::open(folder_ / "other.db").error().code, ErrorCode::invalid_data);
  EXPECT_FALSE(Objects::open(folder_ / "no" / "folder.db"));
}

}  // namespace
}  // namespace plait::store
