# SPDX-License-Identifier: Apache-2.0
# The chat page becomes a source of the serving area.
file(GLOB page_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/serving/page/*)
set(page_source ${PROJECT_BINARY_DIR}/page_file.cc)
add_custom_command(
  OUTPUT ${page_source}
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/embed_page.py ${PROJECT_SOURCE_DIR}/src/serving/page
    ${page_source}
  DEPENDS ${page_files} ${PROJECT_SOURCE_DIR}/tools/embed_page.py
  VERBATIM)
target_sources(plait_serving PRIVATE ${page_source})
