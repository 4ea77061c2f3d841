extern "C" __global__ void __launch_bounds__(256) kernel_8a52d09a94606e5a(
    const float* x,
    const long long* __restrict__ x_1_,
    const float* __restrict__ scale,
    const float* __restrict__ shift,
    float* out,
    const int n0,
    const int n1,
    const int x_1_0,
    const int out_4_0)
{
    const long long v0 = x_1_[0];
    const float v1 = (float)v0;  // test_cuda_printer.py:29  centred = x - sg.mean(x, axis=1, keepdims=True)
    const float v2 = sg_maximum_f32(v1, 0.0f);  // test_cuda_printer.py:30  deviation = sg.sqrt(sg.var(x, axis=1, keepdims=True) + 1e-5)
    const int lane = threadIdx.x % 64;
    for (int p = blockIdx.x * 4; p < n0; p += gridDim.x * 4) {
        const bool mine = p + threadIdx.x / 64 < n0;
        const int row = mine ? p + threadIdx.x / 64 : n0 - 1;
        const int end = !mine ? 0 : n1;
        float t1 = 0.0f;
        float t2 = 0.0f;
        float t3 = 0.0f;
        float v3[16];
        #pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int j = e * 256 + lane * 4;
            if (j < end) {
                const auto x_1 = sg_load<float, 4>(x + row * x_1_0 + j);
                #pragma unroll
                for (int k = 0; k < 4; ++k) {
                    v3[e * 4 + k] = x_1.at[k];
                    t1 = t1 + v3[e * 4 + k];
                }
            }
            if (e % 4 == 3 || e == 3) {
                t2 = sg_gather_f32(t2, t1, t3);
                t1 = 0.0f;
            }
        }
        t1 = t2 + t3;
        for (int k = 1; k < 32; k *= 2) {
            const float t4 = sg_shuffle_xor(t1, k);
            t1 = t1 + t4;
        }
        __shared__ float shared_t1[8];
        if (threadIdx.x % 32 == 0) {
            shared_t1[threadIdx.x / 32] = t1;
        }
        __syncthreads();
        t1 = shared_t1[threadIdx.x / 64 * 2 + threadIdx.x % 2];
        for (int k = 1; k < 2; k *= 2) {
            const float t5 = sg_shuffle_xor(t1, k);
            t1 = t1 + t5;
        }
        __syncthreads();
        const float v4 = t1;  // test_cuda_printer.py:29  centred = x - sg.mean(x, axis=1, keepdims=True)
        const float v5 = v4 / v1;
        float t6 = 0.0f;
        float t7 = 0.0f;
        float t8 = 0.0f;
        float v6[16];
        #pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int j = e * 256 + lane * 4;
            if (j < end) {
                #pragma unroll
                for (int k = 0; k < 4; ++k) {
                    v6[e * 4 + k] = v3[e * 4 + k] - v5;
                    const float v7 = v6[e * 4 + k] * v6[e * 4 + k];  // test_cuda_printer.py:30  deviation = sg.sqrt(sg.var(x, axis=1, keepdims=True) + 1e-5)
                    t6 = t6 + v7;
                }
            }
            if (e % 4 == 3 || e == 3) {
                t7 = sg_gather_f32(t7, t6, t8);
                t6 = 0.0f;
            }
        }
        t6 = t7 + t8;
        for (int k = 1; k < 32; k *= 2) {
            const float t9 = sg_shuffle_xor(t6, k);
            t6 = t6 + t9;
        }
        __shared__ float shared_t6[8];
        if (threadIdx.x % 32 == 0) {
            shared_t6[threadIdx.x / 32] = t6;
        }
        __syncthreads();
        t6 = shared_t6[threadIdx.x / 64 * 2 + threadIdx.x % 2];
        for (int k = 1; k < 2; k *= 2) {
            const float t10 = sg_shuffle_xor(t6, k);
            t6 = t6 + t10;
        }
        __syncthreads();
        const float v8 = t6;
        const float v9 = v8 / v2;
        const float v10 = v9 + 1e-05f;
        const float v11 = sqrtf(v10);
        #pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int j = e * 256 + lane * 4;
            if (j < end) {
                const auto scale_2 = sg_load<float, 4>(scale + j);
                const auto shift_3 = sg_load<float, 4>(shift + j);
                sg_vector<float, 4> out_4;
                #pragma unroll
                for (int k = 0; k < 4; ++k) {
                    const float v12 = v6[e * 4 + k] / v11;  // test_cuda_printer.py:31  return centred / deviation * scale + shift
                    const float v13 = scale_2.at[k];
                    const float v14 = v12 * v13;
                    const float v15 = shift_3.at[k];
                    const float v16 = v14 + v15;
                    out_4.at[k] = v16;
                }
                sg_store(out + row * out_4_0 + j, out_4);
            }
        }
    }
}
SG_KERNEL(kernel_8a52d09a94606e5a)
