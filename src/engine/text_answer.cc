// SPDX-License-Identifier: Apache-2.0
#include "engine/text_answer.h"

#include <algorithm>

namespace plait::engine {

base::Result<TextAnswer> TextAnswer::make(const models::Tokenizer& tokenizer, models::StopOptions stop, Show show,
                                          bool ignore_end) {
  std::vector<base::TokenId> ids = stop.ids;
  if (!ignore_end) {
    const auto ends = tokenizer.end_of_generation();
    ids.insert(ids.end(), ends.begin(), ends.end());
  }
  PLAIT_TRY(auto stream, models::StopStream::make(std::move(stop)));
  // In place: under the thread sanitizer GCC 12 takes the ending that is not there for one that is moved.
  return base::Result<TextAnswer>(std::in_place, Key(), tokenizer, std::move(stream), std::move(show), std::move(ids));
}

bool TextAnswer::give(const models::StopStream::Piece& piece) {
  if (!piece.text.empty()) {
    text_ += piece.text;
    if (show_) show_(piece.text);
  }
  if (piece.stopped) stop_string_ = piece.string_index;
  return !piece.stopped;
}

bool TextAnswer::on_token(SequenceId /*sequence*/, const models::Sample& sample) {
  tokens_.push_back(sample.token);
  if (sample.logprobs) logprobs_.push_back(*sample.logprobs);
  if (std::ranges::find(stop_ids_, sample.token) != stop_ids_.end()) return true;  // told, never shown
  return give(stop_.push(detokenizer_.push(sample.token)));
}

void TextAnswer::on_end(SequenceId /*sequence*/, const Ending& ending) {
  if (!stop_string_ && give(stop_.push(detokenizer_.flush()))) {
    models::StopStream::Piece rest;
    rest.text = stop_.flush();
    give(rest);
  }
  ending_ = ending;
}

}  // namespace plait::engine
