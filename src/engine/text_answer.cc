// SPDX-License-Identifier: Apache-2.0
#include "engine/text_answer.h"

#include <algorithm>

namespace plait::engine {

base::Result<TextAnswer> TextAnswer::make(const models::Tokenizer& tokenizer, models::StopOptions stop, Show show,
                                          bool ignore_end, std::vector<base::TokenId> marks) {
  std::vector<base::TokenId> ids = stop.ids;
  if (!ignore_end) {
    const auto ends = tokenizer.end_of_generation();
    ids.insert(ids.end(), ends.begin(), ends.end());
  }
  PLAIT_TRY(auto stream, models::StopStream::make(std::move(stop)));
  // In place: under the thread sanitizer GCC 12 takes the ending that is not there for one that is moved.
  return base::Result<TextAnswer>(std::in_place, Key(), tokenizer, std::move(stream), std::move(show), std::move(ids),
                                  std::move(marks));
}

bool TextAnswer::give(const models::StopStream::Piece& piece) {
  if (!piece.text.empty()) {
    text_ += piece.text;
    if (show_) show_(piece.text);
  }
  if (piece.stopped) stop_string_ = piece.string_index;
  return !piece.stopped;
}

std::string TextAnswer::text_of(base::TokenId token) {
  if (std::ranges::find(marks_, token) == marks_.end()) return detokenizer_.push(token);
  return detokenizer_.flush() + std::string(tokenizer_->piece(token));
}

bool TextAnswer::on_token(SequenceId /*sequence*/, const models::Sample& sample) {
  tokens_.push_back(sample.token);
  // Only the first token is never forced.
  if (sample.logprobs || !logprobs_.empty()) logprobs_.push_back(sample.logprobs.value_or(models::Logprobs()));
  if (std::ranges::find(stop_ids_, sample.token) != stop_ids_.end()) return true;  // told, never shown
  std::string text = text_of(sample.token);
  const std::size_t left_out = std::min(left_out_, text.size());
  left_out_ -= left_out;
  return give(stop_.push(text.erase(0, left_out)));
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
